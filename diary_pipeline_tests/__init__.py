"""Tests, by kind of thing they prove. Builders and audio samples live beside them."""

"""Whisper over CTranslate2: windows of many recordings in one model call."""

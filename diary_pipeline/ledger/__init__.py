"""What has been promised, who works on it, and what is committed. Holds no diary text. SQLite or PostgreSQL."""

"""What smtptls audit asks of a server, and how it talks to it."""

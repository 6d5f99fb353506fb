"""The test server of smtptls serve: regular where nothing else is asked for, and faulty on demand."""

"""The only room that reads argv and the environment, prints, and decides the exit code."""

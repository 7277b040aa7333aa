"""uvicorn with the limits that it lacks."""

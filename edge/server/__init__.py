"""uvicorn, set up once, with bounds that it lacks."""

"""The full-screen front end: screens that show and ask; every decision is the session's."""

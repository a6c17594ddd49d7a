"""Files fetched over HTTP from servers that nobody here vouches for, into raw storage."""

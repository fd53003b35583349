"""The door for users' own records, from files or from a function of their own to what a party trains on."""

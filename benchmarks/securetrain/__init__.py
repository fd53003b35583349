"""Encrypted training beside SEAL and TenSEAL, see ``__main__``."""

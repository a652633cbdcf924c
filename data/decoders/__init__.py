"""Bytes of picture files: opened by one list of formats, decoded whole or refused with a reason."""

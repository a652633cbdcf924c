"""What learning without labels asks of a network: what it is shown of a picture, and what it shall predict."""

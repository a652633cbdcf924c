"""Archives of a public data set: found, fetched and unpacked."""

"""The official layout of a public data set: pictures, codings of masks and lists brought together."""

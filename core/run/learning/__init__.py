"""What may change how a run learns: its settings, averaged weights, draws that go by the losses."""

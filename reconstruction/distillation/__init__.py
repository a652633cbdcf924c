"""Phase 1 by distillation: the encoder learns to predict the features of a network with weights from outside."""

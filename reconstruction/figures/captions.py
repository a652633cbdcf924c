"""What the figures of `reconstruction.evaluate` say, for the report too."""

# Panels of the training curves: title -> columns of training_log.csv.
CURVES = {
    "loss": ("train_loss", "val_loss"),
    "squared error": ("train_mse", "val_mse"),
    "PSNR of Val (dB)": ("val_psnr",),
    "SSIM of Val": ("val_ssim",),
}

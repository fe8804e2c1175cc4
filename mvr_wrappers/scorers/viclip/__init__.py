"""ViCLIP: video-language encoders from local files or the model hub."""

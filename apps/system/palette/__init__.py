"""The palette: one box that leads to any page, model, conversation, dataset or training job."""

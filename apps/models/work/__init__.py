"""Long work on models: importing, converting, fusing, exporting, verifying. Each is a job."""

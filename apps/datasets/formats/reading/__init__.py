"""Files of many kinds to records, one at a time and in bounded memory."""

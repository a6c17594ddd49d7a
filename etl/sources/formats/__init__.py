"""Files that are read whole: JSON documents, XML, Parquet, Avro; each gives its records in order."""

-- Files apart from the records that refer to them. Their bytes are in the object store, under their hash.
CREATE TABLE IF NOT EXISTS blobs (
    data_set INTEGER NOT NULL,
    id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    offered_at INTEGER NOT NULL,
    PRIMARY KEY (data_set, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blobs_by_id ON blobs (id);
-- Who had the bytes of a file.
CREATE TABLE IF NOT EXISTS owners (
    data_set INTEGER NOT NULL,
    id TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (data_set, id, principal)
) WITHOUT ROWID;
-- Which records refer to a file, and who put it there. It is stored where that principal was entitled to the file.
CREATE TABLE IF NOT EXISTS file_links (
    data_set INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    record TEXT NOT NULL,
    principal TEXT NOT NULL,
    stored INTEGER NOT NULL,
    PRIMARY KEY (data_set, id, type, record)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS file_links_by_record ON file_links (data_set, type, record);
-- Those of before named no protocol. A device whose upload is gone asks for another slot.
DROP TABLE IF EXISTS uploads;
CREATE TABLE IF NOT EXISTS slots (
    data_set INTEGER NOT NULL,
    id TEXT NOT NULL,
    principal TEXT NOT NULL,
    attachment TEXT NOT NULL,
    protocol TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (data_set, id)
) WITHOUT ROWID;
-- Files whose bytes are to be deleted, which may have been broken off.
CREATE TABLE IF NOT EXISTS condemned (
    id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
-- Where files of records are, as links have said. It holds for each later state of the record.
CREATE TABLE IF NOT EXISTS record_links (
    data_set INTEGER NOT NULL,
    type TEXT NOT NULL,
    record TEXT NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (data_set, type, record, id)
) WITHOUT ROWID;

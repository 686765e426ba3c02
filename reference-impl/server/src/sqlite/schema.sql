-- One database holds every data set. A place is counted over all of them, so that it is never given twice.
CREATE TABLE data_sets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    accepted_seq INTEGER NOT NULL,
    backed_up_seq INTEGER NOT NULL,
    clock_offset_ms INTEGER NOT NULL
);
-- The epochs of each data set, in order. The first has no cause.
CREATE TABLE epochs (
    data_set INTEGER NOT NULL,
    number INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    cause TEXT,
    PRIMARY KEY (data_set, number)
) WITHOUT ROWID;
-- The backups that were restored here. In a backup, itself, which is not restored.
CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    restored INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE feeds (
    id INTEGER PRIMARY KEY,
    data_set INTEGER NOT NULL,
    name TEXT NOT NULL,
    last INTEGER NOT NULL,
    horizon INTEGER NOT NULL,
    UNIQUE (data_set, name)
);
CREATE TABLE places (last INTEGER NOT NULL);
INSERT INTO places VALUES (0);

-- The current state of every record. A change deletes the row and inserts another at a new place.
CREATE TABLE rows (
    place INTEGER PRIMARY KEY,
    data_set INTEGER NOT NULL,
    feed INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    rev TEXT NOT NULL,
    version INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    replica TEXT,
    deleted INTEGER NOT NULL,
    content BLOB NOT NULL,
    json TEXT NOT NULL,
    -- Who sees it: a place, nobody who does not see everything (empty), or a principal (~name); null for everybody.
    label TEXT,
    -- The record that an entry of the conflict log is about, as type/id.
    about TEXT
);
CREATE UNIQUE INDEX rows_by_record ON rows (data_set, type, id);
CREATE INDEX rows_by_feed ON rows (feed, place);
-- With all that a grant asks of a record, so that it reads no row: those of one place lie all over the table.
CREATE INDEX rows_by_label ON rows (feed, label, place, deleted, type, id) WHERE label IS NOT NULL;
CREATE INDEX rows_by_subject ON rows (data_set, about) WHERE about IS NOT NULL;
CREATE INDEX tombstones ON rows (feed, accepted_at) WHERE deleted = 1;

-- Earlier states, by their rev: the bases of pushes that come late.
CREATE TABLE history (
    data_set INTEGER NOT NULL,
    feed INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    rev TEXT NOT NULL,
    version INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    replica TEXT,
    deleted INTEGER NOT NULL,
    content BLOB NOT NULL,
    json TEXT NOT NULL,
    label TEXT
);
CREATE UNIQUE INDEX history_by_rev ON history (data_set, rev);
CREATE INDEX history_by_age ON history (feed, accepted_at);

-- Which live record refers to which. Only those of types with parents stand here.
CREATE TABLE links (
    data_set INTEGER NOT NULL,
    parent_type TEXT NOT NULL,
    parent TEXT NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (data_set, parent_type, parent, type, id)
) WITHOUT ROWID;

-- The last number that was drawn for each member that has a sequence. It is never given back.
CREATE TABLE sequences (
    data_set INTEGER NOT NULL,
    type TEXT NOT NULL,
    member TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (data_set, type, member)
) WITHOUT ROWID;

CREATE TABLE replicas (
    data_set INTEGER NOT NULL,
    principal TEXT NOT NULL,
    replica TEXT NOT NULL,
    seq INTEGER NOT NULL,
    token TEXT NOT NULL,
    body BLOB NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (data_set, principal, replica)
) WITHOUT ROWID;

-- The feed is 0 where a mutation named no type.
CREATE TABLE decided (
    data_set INTEGER NOT NULL,
    principal TEXT NOT NULL,
    mutation_id TEXT NOT NULL,
    feed INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    content BLOB NOT NULL,
    outcome TEXT NOT NULL
);
-- Narrow, and apart from the rows, which stand in the order in which they came: ids come in any order.
CREATE UNIQUE INDEX decided_by_id ON decided (data_set, principal, mutation_id);
CREATE INDEX decided_by_age ON decided (data_set, feed, decided_at);

CREATE TABLE accounts (
    user TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL
) WITHOUT ROWID;
-- By the data set's name, so that a grant can be given before the data set is first served.
CREATE TABLE grants (
    data_set TEXT NOT NULL,
    user TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (data_set, user)
) WITHOUT ROWID;

-- The places that a user was given, as JSON; null for one who sees everything again. Who is not here always did.
CREATE TABLE scopes (
    data_set INTEGER NOT NULL,
    user TEXT NOT NULL,
    places TEXT,
    PRIMARY KEY (data_set, user)
) WITHOUT ROWID;
-- These places and all below them, by user and by place.
CREATE TABLE seen (
    data_set INTEGER NOT NULL,
    user TEXT NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (data_set, user, label)
) WITHOUT ROWID;
CREATE INDEX seen_by_label ON seen (data_set, label, user);
-- What came into a user's view or left it without a change of its own; the last time of each record.
CREATE TABLE shifts (
    place INTEGER PRIMARY KEY,
    data_set INTEGER NOT NULL,
    feed INTEGER NOT NULL,
    user TEXT NOT NULL,
    -- That of the record now, or empty. It goes with it.
    label TEXT NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    leaves INTEGER NOT NULL
);
-- The records of one label lie together: a grant takes all of them, and ids come in any order.
CREATE UNIQUE INDEX shifts_by_record ON shifts (data_set, user, label, type, id);
CREATE INDEX shifts_by_feed ON shifts (feed, user, place);
-- The records that left a feed for another one of their type. One that comes back is no longer here.
CREATE TABLE moves (
    place INTEGER PRIMARY KEY,
    data_set INTEGER NOT NULL,
    feed INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL
);
CREATE UNIQUE INDEX moves_by_record ON moves (data_set, type, id, feed);
CREATE INDEX moves_by_feed ON moves (feed, place);
CREATE TABLE refetches (
    number INTEGER PRIMARY KEY,
    data_set INTEGER NOT NULL,
    user TEXT NOT NULL,
    refetch TEXT NOT NULL
);
CREATE INDEX refetches_by_user ON refetches (data_set, user);
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL
) WITHOUT ROWID;

-- The reservations database of the Northlight Hotel. Money is in cents, dates are ISO 8601 text.
CREATE TABLE room_types (
  code TEXT PRIMARY KEY,
  holds INTEGER NOT NULL CHECK (holds > 0),
  beds TEXT NOT NULL
);

CREATE TABLE rooms (
  number TEXT PRIMARY KEY,
  room_type TEXT NOT NULL REFERENCES room_types (code),
  floor INTEGER NOT NULL,
  quiet INTEGER NOT NULL CHECK (quiet IN (0, 1)),
  pets_allowed INTEGER NOT NULL CHECK (pets_allowed IN (0, 1))
);

-- A night belongs to the season whose first and last night enclose it.
CREATE TABLE seasons (
  first_night TEXT PRIMARY KEY,
  last_night TEXT NOT NULL,
  name TEXT NOT NULL,
  CHECK (first_night <= last_night)
);

CREATE TABLE rates (
  room_type TEXT NOT NULL REFERENCES room_types (code),
  season TEXT NOT NULL,
  weekday_cents INTEGER NOT NULL,
  weekend_cents INTEGER NOT NULL,
  PRIMARY KEY (room_type, season)
);

CREATE TABLE guests (
  email TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  phone TEXT
);

-- The guest occupies the room on the nights from arrival up to, not including, departure.
CREATE TABLE reservations (
  confirmation TEXT PRIMARY KEY,
  email TEXT NOT NULL REFERENCES guests (email),
  guest_name TEXT NOT NULL,
  room_number TEXT NOT NULL REFERENCES rooms (number),
  room_type TEXT NOT NULL REFERENCES room_types (code),
  arrival TEXT NOT NULL,
  departure TEXT NOT NULL,
  guests INTEGER NOT NULL CHECK (guests > 0),
  breakfast INTEGER NOT NULL CHECK (breakfast IN (0, 1)),
  pet INTEGER NOT NULL CHECK (pet IN (0, 1)),
  late_checkout INTEGER NOT NULL CHECK (late_checkout IN (0, 1)),
  rate_plan TEXT NOT NULL CHECK (rate_plan IN ('flexible', 'saver')),
  status TEXT NOT NULL CHECK (status IN ('confirmed', 'checked_in', 'departed', 'cancelled')),
  total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
  created_at TEXT NOT NULL,
  CHECK (arrival < departure)
);

CREATE INDEX reservations_by_room ON reservations (room_number, arrival);

CREATE TABLE refunds (
  id INTEGER PRIMARY KEY,
  confirmation TEXT NOT NULL REFERENCES reservations (confirmation),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  created_at TEXT NOT NULL
);

-- What the desk passed on to a person.
CREATE TABLE handoffs (
  id INTEGER PRIMARY KEY,
  reason TEXT NOT NULL,
  created_at TEXT NOT NULL
);

-- Twelve rooms, their rates, and the reservations that exist when an episode begins (2026-01-15). All people are invented.

INSERT INTO room_types (code, holds, beds) VALUES
  ('single', 1, 'one single bed'),
  ('double', 2, 'one queen bed'),
  ('twin', 2, 'two single beds'),
  ('suite', 4, 'one queen bed and a sofa bed for two');

INSERT INTO rooms (number, room_type, floor, quiet, pets_allowed) VALUES
  ('101', 'single', 1, 0, 1),
  ('102', 'double', 1, 0, 1),
  ('103', 'twin', 1, 0, 1),
  ('104', 'double', 1, 0, 1),
  ('201', 'single', 2, 0, 0),
  ('202', 'double', 2, 0, 0),
  ('203', 'twin', 2, 0, 0),
  ('204', 'suite', 2, 0, 0),
  ('301', 'single', 3, 1, 0),
  ('302', 'double', 3, 1, 0),
  ('303', 'twin', 3, 1, 0),
  ('304', 'suite', 3, 1, 0);

INSERT INTO seasons (first_night, last_night, name) VALUES
  ('2026-01-06', '2026-03-31', 'low'),
  ('2026-04-01', '2026-09-30', 'high'),
  ('2026-10-01', '2026-12-19', 'low'),
  ('2026-12-20', '2027-01-05', 'festive');

INSERT INTO rates (room_type, season, weekday_cents, weekend_cents) VALUES
  ('single', 'low', 8000, 10000),
  ('single', 'high', 11000, 13000),
  ('single', 'festive', 13000, 15000),
  ('double', 'low', 11500, 14000),
  ('double', 'high', 15000, 18000),
  ('double', 'festive', 18000, 21000),
  ('twin', 'low', 12000, 15000),
  ('twin', 'high', 16000, 19000),
  ('twin', 'festive', 19000, 22000),
  ('suite', 'low', 21000, 26000),
  ('suite', 'high', 28000, 34000),
  ('suite', 'festive', 33000, 39000);

INSERT INTO guests (email, name, phone) VALUES
  ('marta.silva@example.com', 'Marta Silva', '+1 555 0101'),
  ('jonas.weber@example.com', 'Jonas Weber', '+1 555 0102'),
  ('priya.nair@example.com', 'Priya Nair', '+1 555 0103'),
  ('tom.hughes@example.com', 'Tom Hughes', '+1 555 0104'),
  ('elena.rossi@example.com', 'Elena Rossi', '+1 555 0105'),
  ('kwame.mensah@example.com', 'Kwame Mensah', '+1 555 0106'),
  ('sofia.lindqvist@example.com', 'Sofia Lindqvist', '+1 555 0107'),
  ('daniel.novak@example.com', 'Daniel Novak', '+1 555 0108'),
  ('grace.okafor@example.com', 'Grace Okafor', '+1 555 0109'),
  ('mei.tanaka@example.com', 'Mei Tanaka', '+1 555 0110'),
  ('lucas.martin@example.com', 'Lucas Martin', '+1 555 0111'),
  ('amira.haddad@example.com', 'Amira Haddad', '+1 555 0112'),
  ('peter.jansen@example.com', 'Peter Jansen', '+1 555 0113'),
  ('yuki.sato@example.com', 'Yuki Sato', '+1 555 0114'),
  ('olga.ivanova@example.com', 'Olga Ivanova', '+1 555 0115'),
  ('carlos.mendes@example.com', 'Carlos Mendes', '+1 555 0116'),
  ('hannah.cohen@example.com', 'Hannah Cohen', '+1 555 0117'),
  ('liam.murphy@example.com', 'Liam Murphy', '+1 555 0118'),
  ('ingrid.dahl@example.com', 'Ingrid Dahl', '+1 555 0119'),
  ('samuel.adeyemi@example.com', 'Samuel Adeyemi', '+1 555 0120'),
  ('wei.chen@example.com', 'Wei Chen', '+1 555 0121');

INSERT INTO reservations (confirmation, email, guest_name, room_number, room_type, arrival, departure, guests, breakfast, pet, late_checkout, rate_plan, status, total_cents, created_at) VALUES
  ('HB-1001', 'marta.silva@example.com', 'Marta Silva', '101', 'single', '2026-01-10', '2026-01-13', 1, 1, 0, 0, 'flexible', 'departed', 30500, '2025-12-28T10:00:00+00:00'),
  ('HB-1002', 'jonas.weber@example.com', 'Jonas Weber', '102', 'double', '2026-01-13', '2026-01-17', 2, 0, 1, 0, 'flexible', 'checked_in', 51000, '2025-12-30T10:00:00+00:00'),
  ('HB-1003', 'priya.nair@example.com', 'Priya Nair', '203', 'twin', '2026-01-14', '2026-01-16', 2, 1, 0, 0, 'flexible', 'checked_in', 30000, '2026-01-02T10:00:00+00:00'),
  ('HB-1004', 'tom.hughes@example.com', 'Tom Hughes', '202', 'double', '2026-01-16', '2026-01-18', 2, 0, 0, 0, 'flexible', 'confirmed', 28000, '2026-01-03T10:00:00+00:00'),
  ('HB-1005', 'elena.rossi@example.com', 'Elena Rossi', '304', 'suite', '2026-01-19', '2026-01-22', 2, 1, 0, 0, 'flexible', 'confirmed', 72000, '2026-01-03T10:00:00+00:00'),
  ('HB-1006', 'kwame.mensah@example.com', 'Kwame Mensah', '302', 'double', '2026-01-22', '2026-01-25', 2, 0, 0, 0, 'flexible', 'confirmed', 39500, '2026-01-04T10:00:00+00:00'),
  ('HB-1007', 'sofia.lindqvist@example.com', 'Sofia Lindqvist', '103', 'twin', '2026-01-21', '2026-01-23', 1, 0, 1, 0, 'flexible', 'confirmed', 26500, '2026-01-04T10:00:00+00:00'),
  ('HB-1008', 'daniel.novak@example.com', 'Daniel Novak', '201', 'single', '2026-01-18', '2026-01-20', 1, 0, 0, 1, 'flexible', 'confirmed', 19000, '2026-01-05T10:00:00+00:00'),
  ('HB-1009', 'grace.okafor@example.com', 'Grace Okafor', '104', 'double', '2026-01-17', '2026-01-19', 1, 1, 0, 0, 'flexible', 'confirmed', 28500, '2026-01-06T10:00:00+00:00'),
  ('HB-1010', 'mei.tanaka@example.com', 'Mei Tanaka', '102', 'double', '2026-02-02', '2026-02-06', 2, 0, 0, 0, 'flexible', 'confirmed', 46000, '2026-01-06T10:00:00+00:00'),
  ('HB-1011', 'lucas.martin@example.com', 'Lucas Martin', '301', 'single', '2026-02-09', '2026-02-12', 1, 0, 0, 0, 'saver', 'confirmed', 24000, '2026-01-06T10:00:00+00:00'),
  ('HB-1012', 'amira.haddad@example.com', 'Amira Haddad', '102', 'double', '2026-02-13', '2026-02-15', 2, 1, 0, 0, 'flexible', 'confirmed', 34000, '2026-01-07T10:00:00+00:00'),
  ('HB-1013', 'peter.jansen@example.com', 'Peter Jansen', '104', 'double', '2026-02-13', '2026-02-16', 2, 0, 0, 0, 'flexible', 'confirmed', 39500, '2026-01-07T10:00:00+00:00'),
  ('HB-1014', 'yuki.sato@example.com', 'Yuki Sato', '202', 'double', '2026-02-12', '2026-02-15', 2, 0, 0, 1, 'saver', 'confirmed', 42500, '2026-01-08T10:00:00+00:00'),
  ('HB-1015', 'olga.ivanova@example.com', 'Olga Ivanova', '302', 'double', '2026-02-14', '2026-02-17', 1, 0, 0, 0, 'flexible', 'confirmed', 37000, '2026-01-08T10:00:00+00:00'),
  ('HB-1016', 'carlos.mendes@example.com', 'Carlos Mendes', '303', 'twin', '2026-02-20', '2026-02-22', 2, 0, 0, 0, 'flexible', 'cancelled', 30000, '2026-01-09T10:00:00+00:00'),
  ('HB-1017', 'hannah.cohen@example.com', 'Hannah Cohen', '204', 'suite', '2026-03-06', '2026-03-09', 3, 0, 0, 0, 'flexible', 'confirmed', 73000, '2026-01-09T10:00:00+00:00'),
  ('HB-1018', 'liam.murphy@example.com', 'Liam Murphy', '304', 'suite', '2026-03-05', '2026-03-08', 4, 1, 0, 0, 'flexible', 'confirmed', 91000, '2026-01-10T10:00:00+00:00'),
  ('HB-1019', 'ingrid.dahl@example.com', 'Ingrid Dahl', '203', 'twin', '2026-03-10', '2026-03-14', 2, 0, 0, 0, 'flexible', 'confirmed', 51000, '2026-01-11T10:00:00+00:00'),
  ('HB-1020', 'samuel.adeyemi@example.com', 'Samuel Adeyemi', '101', 'single', '2026-04-01', '2026-04-05', 1, 0, 0, 0, 'flexible', 'confirmed', 48000, '2026-01-12T10:00:00+00:00'),
  ('HB-1021', 'elena.rossi@example.com', 'Elena Rossi', '203', 'twin', '2026-05-04', '2026-05-07', 2, 0, 0, 0, 'flexible', 'confirmed', 48000, '2026-01-13T10:00:00+00:00'),
  ('HB-1022', 'wei.chen@example.com', 'Wei Chen', '301', 'single', '2026-01-23', '2026-01-26', 1, 0, 0, 0, 'flexible', 'confirmed', 28000, '2026-01-14T10:00:00+00:00');

-- values that are the time of the run, in rows, changes and old rows
CREATE TABLE mo(id int primary key, v text, at timestamptz DEFAULT clock_timestamp(), local timestamp DEFAULT now()); ALTER TABLE mo REPLICA IDENTITY FULL;
INSERT INTO mo(id,v) VALUES (1,'a'); UPDATE mo SET v='b'; DELETE FROM mo;

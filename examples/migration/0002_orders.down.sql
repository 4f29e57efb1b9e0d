DROP TABLE orders;
ALTER TABLE customers DROP COLUMN country;

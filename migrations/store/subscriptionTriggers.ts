/**
 * What keeps `webhook_endpoints` in step with plain SQL on `webhook_subscriptions`.
 *
 * - BEFORE INSERT OR UPDATE fills what a statement of the tutorial's four columns leaves out. Rows with one URL
 *   share an endpoint, made on demand.
 * - At commit (deferred), for each endpoint of which a row changed its URL or went: all rows have one new URL that
 *   no other endpoint has = the endpoint's URL changes, what is parked included; else the rows with other URLs join
 *   or make the endpoints of those, with the same order and concurrency. An endpoint without rows ends.
 * - No NOTIFY: it makes PREPARE TRANSACTION fail.
 * - SECURITY DEFINER: who may write subscriptions needs no right on the other tables.
 */
const functionHead = (signature: string, returns: string) =>
  `CREATE FUNCTION pgstream.${signature} RETURNS ${returns}
   LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp`

/** FOR KEY SHARE: nobody ends the endpoint or gives it another URL before our commit, and then sees our row. */
const endpointFor = `${functionHead("endpoint_for(wanted text, like_endpoint uuid)", "uuid")} AS $$
DECLARE
  found_id uuid;
BEGIN
  LOOP
    SELECT e.id INTO found_id FROM pgstream.webhook_endpoints e WHERE e.url = wanted FOR KEY SHARE;
    IF FOUND THEN RETURN found_id; END IF;
    INSERT INTO pgstream.webhook_endpoints (url, order_mode, concurrency)
      SELECT wanted, coalesce(e.order_mode, 'key'), e.concurrency
      FROM (SELECT 1) one LEFT JOIN pgstream.webhook_endpoints e ON e.id = like_endpoint
      ON CONFLICT (url) DO NOTHING
      RETURNING id INTO found_id;
    IF FOUND THEN RETURN found_id; END IF;
  END LOOP;
END $$`

const fill = `${functionHead("fill_subscription()", "trigger")} AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.id := coalesce(NEW.id, gen_random_uuid());
    NEW.created_at := coalesce(NEW.created_at, clock_timestamp());
    IF NEW.endpoint_id IS NULL THEN NEW.endpoint_id := pgstream.endpoint_for(NEW.url, NULL); END IF;
  ELSE
    NEW.id := coalesce(NEW.id, OLD.id);
    NEW.created_at := coalesce(NEW.created_at, OLD.created_at);
    NEW.endpoint_id := coalesce(NEW.endpoint_id, OLD.endpoint_id);
  END IF;
  RETURN NEW;
END $$`

/**
 * The lock first, the counts in later statements: they then see what was committed while we waited. It never waits
 * for a session that adds a row (`endpoint_for`), since that one may wait for a row of ours: an endpoint that is used
 * just then stays as it is. If that session rolls back, an endpoint without rows is left: the service ends it.
 */
const settle = `${functionHead("settle_endpoint()", "trigger")} AS $$
DECLARE
  own text;
  other text;
  rows_all bigint;
  rows_own bigint;
  urls bigint;
  alone boolean;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM FROM pgstream.webhook_endpoints e WHERE e.id = OLD.endpoint_id FOR NO KEY UPDATE;
  END IF;
  PERFORM FROM pgstream.webhook_endpoints e WHERE e.id = OLD.endpoint_id FOR UPDATE SKIP LOCKED;
  alone := FOUND;
  IF NOT alone AND TG_OP = 'DELETE' THEN RETURN NULL; END IF;
  SELECT e.url INTO own FROM pgstream.webhook_endpoints e WHERE e.id = OLD.endpoint_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT count(*), count(*) FILTER (WHERE s.url = own), count(DISTINCT s.url), min(s.url)
    INTO rows_all, rows_own, urls, other
    FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = OLD.endpoint_id;
  IF rows_all > 0 AND rows_own = rows_all THEN RETURN NULL; END IF;
  IF alone AND rows_own = 0 AND urls = 1 THEN
    BEGIN
      UPDATE pgstream.webhook_endpoints e SET url = other WHERE e.id = OLD.endpoint_id;
      RETURN NULL;
    EXCEPTION WHEN unique_violation THEN
      NULL;
    END;
  END IF;
  FOR other IN
    SELECT DISTINCT s.url FROM pgstream.webhook_subscriptions s
    WHERE s.endpoint_id = OLD.endpoint_id AND s.url <> own ORDER BY 1
  LOOP
    UPDATE pgstream.webhook_subscriptions s
      SET endpoint_id = pgstream.endpoint_for(other, OLD.endpoint_id)
      WHERE s.endpoint_id = OLD.endpoint_id AND s.url = other;
  END LOOP;
  IF alone AND rows_own = 0 THEN
    DELETE FROM pgstream.endpoint_streams x WHERE x.endpoint_id = OLD.endpoint_id;
    DELETE FROM pgstream.webhook_endpoints e WHERE e.id = OLD.endpoint_id;
  END IF;
  RETURN NULL;
END $$`

const truncated = `${functionHead("end_endpoints()", "trigger")} AS $$
BEGIN
  DELETE FROM pgstream.endpoint_streams x WHERE NOT EXISTS
    (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = x.endpoint_id);
  DELETE FROM pgstream.webhook_endpoints e WHERE NOT EXISTS
    (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = e.id);
  RETURN NULL;
END $$`

export const subscriptionTriggers: ReadonlyArray<string> = [
  endpointFor,
  fill,
  settle,
  truncated,
  `REVOKE EXECUTE ON FUNCTION pgstream.endpoint_for(text, uuid) FROM PUBLIC`,
  `CREATE TRIGGER pgstream_fill BEFORE INSERT OR UPDATE ON pgstream.webhook_subscriptions
     FOR EACH ROW EXECUTE FUNCTION pgstream.fill_subscription()`,
  `ALTER TABLE pgstream.webhook_subscriptions ENABLE ALWAYS TRIGGER pgstream_fill`,
  `CREATE CONSTRAINT TRIGGER pgstream_settle_updated AFTER UPDATE ON pgstream.webhook_subscriptions
     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
     WHEN (OLD.url IS DISTINCT FROM NEW.url OR OLD.endpoint_id IS DISTINCT FROM NEW.endpoint_id)
     EXECUTE FUNCTION pgstream.settle_endpoint()`,
  `CREATE CONSTRAINT TRIGGER pgstream_settle_deleted AFTER DELETE ON pgstream.webhook_subscriptions
     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pgstream.settle_endpoint()`,
  `CREATE TRIGGER pgstream_truncated AFTER TRUNCATE ON pgstream.webhook_subscriptions
     FOR EACH STATEMENT EXECUTE FUNCTION pgstream.end_endpoints()`
]

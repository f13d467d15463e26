/** Cleans up at the end of the test that is running, or else of the file: `afterAll` inside of a test is never called. */
import { afterAll, onTestFinished } from "vitest"

export const atEnd = (hook: () => unknown): void => {
  const run = async () => {
    await hook()
  }
  try {
    onTestFinished(run)
  } catch {
    afterAll(run)
  }
}

/**
 * A clock that never goes back, ms: when the machine's is set back by an hour, retries and parked rows must not wait
 * that hour. It then stays ahead by what was taken back; set forward, it follows.
 */
export const steadyClock = (wall: () => number): (() => number) => {
  let last = -Infinity
  let aheadMs = 0
  return () => {
    const now = wall() + aheadMs
    if (now < last) {
      aheadMs += last - now
      return last
    }
    last = now
    return now
  }
}

import { useSyncExternalStore } from 'react'

const followers = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
let now = Date.now()

function follow(follower: () => void): () => void {
  followers.add(follower)
  timer ??= setInterval(tick, 1_000)
  return () => {
    followers.delete(follower)
    if (followers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tick(): void {
  now = Date.now()
  for (const follower of followers) follower()
}

/** The time, told anew every second; one timer serves all who ask. */
export function useNow(): number {
  return useSyncExternalStore(follow, () => (timer === undefined ? refreshed() : now))
}

/** While nobody follows, `now` stands still: to the second, so that two looks in one render agree. */
function refreshed(): number {
  const second = Math.floor(Date.now() / 1_000) * 1_000
  if (second > now) now = second
  return now
}

export const FULL_KEY = 'full-key'
export const READER_KEY = 'reader-key'

/** What the main flows need of a relay, be it real or not. */
export interface RelayUnderTest {
  /** Of the dashboard. */
  readonly url: string
  start(): Promise<void>
  /** Goes away without a word; `start()` brings it back at the same address. */
  stop(): Promise<void>
  /** Takes nothing new, connections included; what is open goes on, the page's events among it. */
  drain(): Promise<void>
  /** From now on the key is refused. */
  revoke(key: string): Promise<void>
  /** A client with this token, which needn't be good for more than being listed. */
  connect(token: string): Promise<void>
  /**
   * A client with this token that has sent and got back so many bytes on one stream, which stays open.
   * @returns the stream's target
   */
  carry(token: string, bytes: number): Promise<string>
  close(): Promise<void>
}

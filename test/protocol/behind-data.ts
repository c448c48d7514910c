/**
 * How many bytes stand behind the last field of a Data message, counted from the lengths it holds: deployed programs since 1.10 take
 * eight of them for a number.
 */
export function bytesBehindData(raw: Uint8Array): number {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  // Version, Type, Protocol, ChannelID, Compression
  const fixed = 1 + 1 + 1 + 16 + 1
  let end = fixed + 4 + view.getUint32(fixed)
  // Address and Port, TargetAddress and TargetPort
  if (view.getUint8(2) === 2) for (const _ of [1, 2]) end += 1 + view.getUint8(end) + 2
  return raw.byteLength - end
}

/** The Data messages among `messages`. */
export function dataAmong(messages: readonly Uint8Array[]): readonly Uint8Array[] {
  return messages.filter((raw) => raw[1] === 4)
}

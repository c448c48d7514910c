/**
 * No tunnel at all: what load generator and origin can do.
 *
 * @type {import('./subject.mjs').Subject}
 */
export const direct = {
  name: 'direct',
  title: 'direct connection',
  modes: ['forward'],
  version: '',
  udp: true,
  async start(_mode, wires) {
    return { programs: [], port: await wires.before(wires.origin), socks: false, processes: 0 }
  },
}

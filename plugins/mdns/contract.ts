import { defineContract, Type } from 'patchbay/plugin'

export const mdns = defineContract({
  id: 'mdns',
  optIn: true,
  description: 'Announces Patchbay on the local network (mDNS, DNS-SD), through Avahi.',
  needs: { dbus: { 'org.freedesktop.Avahi': { package: 'avahi-daemon', unit: 'avahi-daemon.service' } } },
  capabilities: { dbus: ['org.freedesktop.Avahi'], host: true },
  events: {
    'mdns:status': {
      description: 'Whether Patchbay is announced on the local network, and as what.',
      payload: Type.Object({
        announced: Type.Boolean(),
        name: Type.Optional(Type.String({ description: 'The name of the service, as browsers of the network list it.' })),
        url: Type.Optional(Type.String({ description: "With the machine's name on the local network." })),
        reason: Type.Optional(Type.String({ description: 'A sentence: why nothing is announced.' })),
      }),
      retained: true,
    },
  },
})

import { defineContract } from 'patchbay/plugin'

export const metrics = defineContract({
  id: 'metrics',
  description: 'Figures of the host for Prometheus: clients, commands, events, plugins, the process.',
  capabilities: { host: true },
  routes: {
    'GET /': { description: 'All figures, in the text format of Prometheus.', role: 'operator', token: true },
  },
})

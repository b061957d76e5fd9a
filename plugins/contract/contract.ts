import { defineContract } from 'patchbay/plugin'

export const contract = defineContract({
  id: 'contract',
  description: 'What everything here takes and says: an AsyncAPI document, and a page for people.',
  capabilities: { host: true },
  routes: {
    'GET /': { description: 'The AsyncAPI 3.0 document of everything that is mounted, as JSON.', role: 'viewer' },
    'GET /openapi': { description: 'The OpenAPI 3.1 document of the HTTP routes of plugins, as JSON.', role: 'viewer' },
    'GET /html': { description: 'The same as a page to read.', role: 'viewer' },
  },
})

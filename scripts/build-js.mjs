// `npm run build:js`
import { compileJs, main } from './setup.mjs'

await main(() => compileJs())

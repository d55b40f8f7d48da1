// The second half of the soak test; see seeds.mjs.
import { soakWith } from './seeds.mjs'

soakWith(5, 6, 7, 8)

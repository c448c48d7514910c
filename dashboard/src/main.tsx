import './styles/base.css'
import './styles/controls.css'
import './styles/fields.css'
import './styles/shell.css'
import './styles/table.css'
import './styles/dialog.css'
import './styles/views.css'
import './styles/policy.css'
import './styles/phone.css'
import { createRoot } from 'react-dom/client'
import { App } from './app.js'
import { applyPreferences } from './state/preferences.js'
import { followLocation } from './state/route.js'
import { resume } from './state/session.js'

applyPreferences()
followLocation()
void resume()
const root = document.getElementById('app')
if (root !== null) createRoot(root).render(<App />)

// Before the first paint: the theme and the size that were chosen here last, or the page would flash.
'use strict';

for (const name of ['theme', 'size']) {
  try {
    const chosen = window.localStorage.getItem(name);
    if (chosen !== null) {
      document.documentElement.dataset[name] = chosen;
    }
  } catch {
    // Not allowed here: as the system has it.
  }
}

/** Light or dark: as the system has it, unless somebody says otherwise. */

export type Mode = 'auto' | 'light' | 'dark';

const STORED = 'decant-theme';

class Theme {
  private readonly system = matchMedia('(prefers-color-scheme: dark)');
  private systemIsDark = $state(this.system.matches);
  mode = $state<Mode>(stored());
  readonly isDark = $derived(this.mode === 'auto' ? this.systemIsDark : this.mode === 'dark');

  constructor() {
    this.system.addEventListener('change', ({ matches }) => (this.systemIsDark = matches));
    this.apply();
  }

  set(mode: Mode): void {
    this.mode = mode;
    localStorage.setItem(STORED, mode);
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset['theme'] = this.mode;
  }
}

function stored(): Mode {
  const mode = localStorage.getItem(STORED);
  return mode === 'light' || mode === 'dark' ? mode : 'auto';
}

export const theme = new Theme();

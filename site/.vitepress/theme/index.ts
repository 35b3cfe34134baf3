import type { Theme } from 'vitepress';
import DefaultTheme from 'vitepress/theme';
import './style.css';

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    // Otherwise a page that cannot be rendered is left empty, and the build succeeds.
    if (import.meta.env.SSR)
      app.config.errorHandler = (error) => {
        throw error;
      };
  },
} satisfies Theme;

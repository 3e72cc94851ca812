export { goTo, hrefTo, type Route, route } from "./route.ts";

// The theme that was chosen in this browser, set before anything is drawn: a script that the page waits
// for, and a file of its own, since the page's policy allows no script within the page.

{
  const chosen = localStorage.getItem("nova-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

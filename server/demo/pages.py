"""The two pages of the demo's OpenID provider."""

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;background:#1b1414;"
    "color:#f3e9e4}button{display:block;width:100%;margin:.4rem 0;padding:.6rem 1rem;font:inherit;text-align:left;"
    "background:#3a1f1c;color:inherit;border:1px solid #b5473a;border-radius:.3rem;cursor:pointer}"
    "button:hover,button:focus{background:#6b2a22}.note{border-left:.3rem solid #b5473a;padding-left:1rem}"
)

_FRAME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Safelight demo sign-in</title><style>{{ style|safe }}</style></head>
<body><h1>Safelight demo sign-in</h1>
%s
</body>
</html>
"""

SIGN_IN_PAGE = (
    _FRAME
    % """<p class="note"><strong>This is a demonstration: no password is asked, and anybody who reaches this page can be
any of these made-up users.</strong> Never use it with real films.</p>
<form method="post">
{% for user in users %}<button name="user" value="{{ user.name }}">{{ user.name }}</button>
{% endfor %}</form>"""
)

MESSAGE_PAGE = _FRAME % "<p>{{ text }}</p>"

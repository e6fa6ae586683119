{{ mentioned('place') }}

{{ mentioned('person') }}

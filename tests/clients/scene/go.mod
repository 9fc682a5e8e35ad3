module odradek/scene

go 1.26.0

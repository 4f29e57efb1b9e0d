# A database that is a file. Terraform needs no provider for it.

variable "directory" { type = string }
variable "python" { type = string }

resource "terraform_data" "database" {
  input = "${abspath(var.directory)}/shop.db"

  provisioner "local-exec" {
    command     = "import os, sqlite3; sqlite3.connect(os.environ['FILE']).execute('create table shop (item text)')"
    interpreter = [var.python, "-c"]
    environment = { FILE = self.input }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "rm -f '${self.input}'"
  }
}

output "url" { value = "sqlite:///${terraform_data.database.output}" }

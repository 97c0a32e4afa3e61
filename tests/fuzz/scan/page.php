<?php echo htmlspecialchars($_GET['a']); ?>
